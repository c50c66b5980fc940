import { address, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { useImprove, useTable } from "../data/hooks";
import { type Table, text } from "../data/table";
import type { Block, ImprovedItem, Improvement, ListedDraft } from "../data/types";
import { plural } from "../format";
import { shorten, visible } from "../text";
import { Copied } from "../ui/Copied";
import { ItemLink } from "../ui/Marks";
import { Rows } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";
import { BrokenItems } from "./BrokenItems";
import "./improve.css";

const KINDS = [
  { what: "keep", title: "Keep fewer items", absent: "A subset that predicts the scores on all items:" },
  { what: "items", title: "Fix items", absent: "Items that look broken, judging by all models’ answers:" },
  { what: "new", title: "Add items", absent: "New items for a weak or thin slice:" },
] as const;

/** Results of `cgaps improve`, one of them in full. */
export function Improve() {
  const run = useRun();
  const route = useRoute();
  const { data, error } = useImprove(run.key);
  const items = useTable(run.key, "items.parquet");
  if (error ?? items.error) return <Failed error={(error ?? items.error)!} />;
  if (!data || !items.data) return <Loading name="what to improve" />;
  const { results, commands } = data;
  const chosen = results.find(({ name }) => name === route.params.get("result")) ?? results[0];
  return (
    <div className="improve">
      <h1>Improve</h1>
      <dl className="improve-answers" data-testid="improve-answers">
        {KINDS.map(({ what, title, absent }) => {
          const ofKind = results.filter((result) => result.what === what);
          return (
            <div key={what}>
              <dt>{title}</dt>
              {ofKind.map(({ name, blocks }) => (
                <dd key={name}>
                  <a
                    href={address(route, { params: { result: name } })}
                    aria-current={name === chosen?.name || undefined}
                  >
                    <bdi>{visible(blocks[0]?.text ?? name)}</bdi>
                  </a>
                </dd>
              ))}
              {ofKind.length === 0 && (
                <dd className="soft">
                  {absent} <Copied text={commands[what]} />
                </dd>
              )}
            </div>
          );
        })}
      </dl>
      {chosen && <Result key={chosen.name} result={chosen} table={items.data} />}
    </div>
  );
}

function Result({ result, table }: { result: Improvement; table: Table }) {
  const { what, name, blocks, items, drafts, refused } = result;
  return (
    <section aria-label={name} data-testid="improvement">
      <h2>
        {KINDS.find((kind) => kind.what === what)!.title}{" "}
        {name.includes("-") && <bdi className="soft">{visible(name)}</bdi>}
      </h2>
      {blocks.slice(1).map((block, i) => (
        <BlockView key={i} block={block} label={`${name}, table ${i}`} />
      ))}
      {what === "items" && <BrokenItems items={items} table={table} />}
      {what === "keep" && <KeptItems items={items} table={table} />}
      <Drafts title="new item" drafts={drafts} />
      <Drafts title="rejected item" drafts={refused} />
    </section>
  );
}

function BlockView({ block: { text, soft, columns, rows }, label }: { block: Block; label: string }) {
  if (text)
    return (
      <p className={soft ? "soft" : undefined}>
        <bdi>{visible(text)}</bdi>
      </p>
    );
  return (
    <Rows
      label={label}
      first={20}
      rows={rows}
      columns={columns.map((name, i) => ({
        name: visible(name) || " ",
        words: rows.some((row) => /^[^\d−+-]/.test(row[i]!)),
        cell: (row: string[]) => <bdi>{shorten(visible(row[i]!), 90)}</bdi>,
      }))}
    />
  );
}

function KeptItems({ items, table }: { items: ImprovedItem[]; table: Table }) {
  return (
    <Rows
      label="Kept items"
      testId="kept"
      first={10}
      rows={items}
      columns={[
        {
          name: "item",
          cell: ({ row }) => (
            <ItemLink row={row}>
              <bdi>{shorten(visible(text(table, "excerpt", row) ?? `item ${row}`), 110)}</bdi>
            </ItemLink>
          ),
        },
      ]}
    />
  );
}

function Drafts({ title, drafts }: { title: string; drafts: ListedDraft[] }) {
  if (drafts.length === 0) return null;
  return (
    <>
      <h3>{plural(drafts.length, title)}</h3>
      <Rows
        label={title}
        testId="drafts"
        first={10}
        rows={drafts}
        columns={[
          {
            name: "item",
            cell: ({ text, choices }) => (
              <>
                <bdi className="quote">{shorten(visible(text), 600)}</bdi>
                {choices.length > 0 && (
                  <ol type="A">
                    {choices.map((choice, i) => (
                      <li key={i}>
                        <bdi>{shorten(visible(choice), 240)}</bdi>
                      </li>
                    ))}
                  </ol>
                )}
              </>
            ),
          },
          { name: "answer", words: true, cell: ({ answer }) => <bdi>{shorten(visible(answer ?? ""), 240)}</bdi> },
          { name: "note", words: true, cell: ({ note }) => <bdi>{visible(note)}</bdi> },
        ]}
      />
    </>
  );
}
