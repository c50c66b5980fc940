import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { Hint } from "./Facts";

export interface RowsColumn<Row> {
  name: string;
  hint?: string;
  /** Text is aligned left, numbers right. */
  words?: boolean;
  /** Null: the column is left out. */
  cell: ((row: Row) => ReactNode) | null;
}

interface RowsProps<Row> {
  rows: readonly Row[];
  /** The first column is the row header. */
  columns: RowsColumn<Row>[];
  label: string;
  testId?: string;
  /** Rows shown before "Show more" is pressed. */
  first?: number;
  current?: (row: Row) => boolean;
}

/** A short table without virtual scrolling. */
export function Rows<Row>({ rows, columns, label, testId, first = Infinity, current }: RowsProps<Row>) {
  const [room, setRoom] = useState(first);
  const [head, ...others] = columns.filter((column) => column.cell !== null);
  if (!head) return null;
  return (
    <>
      <div className="rows" role="region" tabIndex={0} aria-label={label}>
        <table data-testid={testId}>
          <thead>
            <tr>
              {[head, ...others].map(({ name, hint, words }) => (
                <th key={name} scope="col" className={words ? "words" : undefined}>
                  {hint ? <Hint hint={hint}>{name}</Hint> : name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, room).map((row, i) => (
              <tr key={i} aria-current={current?.(row) || undefined}>
                <th scope="row">{head.cell!(row)}</th>
                {others.map(({ name, words, cell }) => (
                  <td key={name} className={words ? "words" : undefined}>
                    {cell!(row)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > room && (
        <Button size="xs" variant="subtle" mt="xs" onClick={() => setRoom(room * 10)}>
          Show more of {rows.length}
        </Button>
      )}
    </>
  );
}
