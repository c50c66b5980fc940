import { type Table, text } from "../data/table";
import { decimal } from "../format";
import { shownToken } from "../text";
import { ConceptLink, Status } from "../ui/Marks";

interface RelatedProps {
  title: string;
  hint: string;
  pairs: [number, number][] | null;
  table: Table;
  none: string;
}

export function Related({ title, hint, pairs, table, none }: RelatedProps) {
  return (
    <section>
      <h3>{title}</h3>
      {!pairs?.length ? (
        <p className="soft">{none}</p>
      ) : (
        <ul className="related" aria-label={title}>
          {pairs.map(([concept, size]) => (
            <li key={concept}>
              <span className="soft" title={hint}>
                {decimal(size)}
              </span>
              <ConceptLink concept={concept} label={text(table, "label", concept)} />
              <Status status={text(table, "performance_status", concept)} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

export function Chips({ title, tokens, absent }: { title: string; tokens: string[] | null; absent: string | null }) {
  if (!tokens?.length)
    return absent ? (
      <section>
        <h3>{title}</h3>
        <p className="soft">{absent}</p>
      </section>
    ) : null;
  return (
    <section>
      <h3>{title}</h3>
      <ul className="token-chips">
        {tokens.map((token, i) => (
          <li key={i}>
            <bdi>{shownToken(token)}</bdi>
          </li>
        ))}
      </ul>
    </section>
  );
}
