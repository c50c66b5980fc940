import { address, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { characters } from "../data/characters";
import type { Finding, FindingExample, ItemDetail } from "../data/types";
import { decimal, integer, plural } from "../format";
import { Prompt as ReadText } from "../items/ActiveItem";
import { NO_ACTIVITY } from "../items/activity";
import { Choices } from "../items/Choices";
import { Answers, ItemExample } from "../items/Example";
import { shorten, visible } from "../text";
import "../items/items.css";
import "../concept/concept.css";

/** Characters of an item's text that an example shows. */
const ROOM = 480;

const ROWS = [0, 1, 2];

/** Three items that the model fails beside three that it passes. */
export function Sides({ finding }: { finding: Finding }) {
  const route = useRoute();
  return (
    <>
      <div className="sides" data-testid="finding-sides">
        <Side title="Failing" tone="weak-text" examples={finding.failing} none="It fails none of them." />
        <Side title="Passing" tone="strong-text" examples={finding.passing} none="It passes none of them." />
      </div>
      <p>
        <a
          href={address(route, { view: "items", params: { finding: finding.finding, benchmark: null } })}
          data-testid="finding-items"
        >
          All {plural(finding.items, "item")} of the finding
        </a>
      </p>
    </>
  );
}

function Side({
  title,
  tone,
  examples,
  none,
}: {
  title: string;
  tone: string;
  examples: FindingExample[];
  none: string;
}) {
  return (
    <>
      <h3 className={tone}>{title}</h3>
      {ROWS.map((i) => {
        const example = examples[i];
        return example ? (
          <Example key={example.item} example={example} />
        ) : (
          <p key={i} className="soft">
            {examples.length === 0 && i === 0 && none}
          </p>
        );
      })}
    </>
  );
}

function Example({ example }: { example: FindingExample }) {
  return (
    <ItemExample
      row={example.item}
      testId="finding-example"
      facts={(item) => (
        <>
          {item && <span className="soft">score {decimal(item.score)}</span>}
          {example.repeats > 1 && (
            <span className="badge" data-testid="repeats">
              asked in {integer(example.repeats)} items
            </span>
          )}
        </>
      )}
      texts={(item) => <Texts item={item} differs={example.differs} />}
    />
  );
}

function Texts({ item, differs }: { item: ItemDetail; differs: FindingExample["differs"] }) {
  if (item.text === null) return <p className="soft">Its texts are left out of this explorer.</p>;
  return (
    <>
      <Prompt item={item} differs={differs} />
      {item.choices && <Choices item={item} />}
      <Answers item={item} />
    </>
  );
}

/** The parts that differ from the other items of its benchmark; what all of them say is folded away. */
function Prompt({ item, differs }: { item: ItemDetail; differs: FindingExample["differs"] }) {
  const { scored } = useRun();
  const whole = characters(item.text ?? "");
  const [from, to] = item.own ?? [0, whole.length];
  // A text that is cut in an export may begin elsewhere.
  const shown =
    differs !== null && item.cut === null
      ? differs.map(([a, b]) => visible(whole.slice(from + a, from + b).trim())).join(" … ")
      : visible(whole.slice(from, to).trim());
  const folded =
    from > 0 ||
    to < whole.length ||
    (differs !== null && (differs.length > 1 || differs[0]![1] - differs[0]![0] < to - from));
  return (
    <>
      <div className="quote prompt" dir="auto" data-testid="differing">
        {shorten(shown, ROOM)}
      </div>
      {folded && (
        <details className="folded">
          <summary>All that {visible(scored.reader)} read</summary>
          <ReadText item={item} activity={NO_ACTIVITY} />
        </details>
      )}
    </>
  );
}
