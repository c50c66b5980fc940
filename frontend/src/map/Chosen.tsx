import { Button } from "@mantine/core";
import { IconTable } from "@tabler/icons-react";
import { useMemo } from "react";
import { go, useRoute } from "../app/route";
import { onlyHere, selectionParam, setSelection } from "../app/selection";
import { useFace, useNumberParam } from "../app/state";
import { FILTERS } from "../concepts/filters";
import { orderOf, orderWords } from "../concepts/table";
import { number, type Table, text } from "../data/table";
import { integer, magnitude, plural } from "../format";
import { ConceptName, Measured, Status } from "../ui/Marks";
import { LongList } from "./LongList";

interface ChosenProps {
  table: Table;
  /** 1: the row passes the filters. */
  passes: Uint8Array;
  /** How many of those are on the map. */
  shown: number;
  selection: Uint32Array | null;
  /** The address names a choice that was made in another tab. */
  lost: boolean;
}

/** The concepts of the map as a list: those inside the lasso, else all that pass the filters. */
export function Chosen({ table, passes, shown, selection, lost }: ChosenProps) {
  const face = useFace();
  const opened = useNumberParam("concept");
  const order = useMemo(() => orderOf(table, null, face), [table, face]);
  const rows = useMemo(() => {
    const chosen = selection === null ? null : new Set(selection);
    return order.filter((row) => passes[row] === 1 && (chosen === null || chosen.has(row)));
  }, [order, selection, passes]);
  const hidden = selection ? selection.length - rows.length : 0;
  const here = onlyHere(useRoute().params.get("ids"));
  const off = selection ? 0 : rows.length - shown;
  return (
    <section className="chosen" aria-label="List of concepts" data-testid="map-list" data-rows={rows.length}>
      <header>
        <h2>{selection ? `${plural(rows.length, "concept")} selected` : plural(rows.length, "concept")}</h2>
        <p className="soft">
          In this order: {orderWords(face, table)}.{off > 0 && ` ${integer(off)} have no place on the map.`}
          {hidden > 0 && ` ${integer(hidden)} more are selected but do not pass the filters.`}
          {lost && " The selection in this link was made in another tab and is not available here."}
          {here && " This selection is too large for a link: it lasts until this tab is closed or reloaded."}
          {!selection && !lost && " Draw a lasso on the map to select some."}
        </p>
        <div className="chosen-acts">
          <ToTable selection={selection} />
          {(selection || lost) && (
            <Button size="xs" variant="subtle" data-testid="map-unchoose" onClick={() => setSelection(null)}>
              Clear the selection
            </Button>
          )}
        </div>
      </header>
      <LongList
        count={rows.length}
        rowHeight={52}
        label="Concepts"
        empty="No concept passes the filters."
        row={(i) => <Entry key={rows[i]} table={table} concept={rows[i]!} opened={rows[i] === opened} measure={face} />}
      />
    </section>
  );
}

function ToTable({ selection }: { selection: Uint32Array | null }) {
  const { params } = useRoute();
  const kept = Object.fromEntries(FILTERS.map((name) => [name, params.get(name)]));
  return (
    <Button
      size="xs"
      variant="light"
      leftSection={<IconTable size={15} />}
      data-testid="map-to-table"
      onClick={() =>
        go({
          view: "concepts",
          params: { ...kept, ids: selection ? (params.get("ids") ?? selectionParam(selection)) : null },
        })
      }
    >
      Show in table
    </Button>
  );
}

function Entry({
  table,
  concept,
  opened,
  measure,
}: {
  table: Table;
  concept: number;
  opened: boolean;
  measure: "model" | "benchmark";
}) {
  const of = (key: string) => number(table, key, concept);
  return (
    <button
      type="button"
      className={opened ? "entry opened" : "entry"}
      aria-current={opened || undefined}
      onClick={() => go({ params: { concept, item: null } })}
    >
      <span className="entry-name">
        <ConceptName
          concept={concept}
          label={text(table, "label", concept)}
          token={text(table, "peak_token", concept)}
        />
      </span>
      <span className="entry-value">
        {measure === "model" ? (
          <Measured kind="signed" value={of("gap")} low={of("gap_low")} high={of("gap_high")} />
        ) : (
          <>coverage {magnitude(of("chi_bench"))}</>
        )}
        <Status status={text(table, measure === "model" ? "performance_status" : "coverage_status", concept)} />
      </span>
    </button>
  );
}
