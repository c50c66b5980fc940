import type { ComponentProps, ReactNode } from "react";

interface SquareProps extends ComponentProps<"table"> {
  /** The same across and downwards. */
  names: string[];
  corner?: string;
  /** What stands in row `i` and column `j`. */
  cell: (i: number, j: number) => ReactNode;
}

/** A table that sets each name against each. */
export function Square({ names, corner, cell, ...table }: SquareProps) {
  return (
    <table {...table}>
      <thead>
        <tr>
          {corner ? <th scope="col">{corner}</th> : <td />}
          {names.map((name, j) => (
            <th key={j} scope="col">
              <span>{name}</span>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {names.map((name, i) => (
          <tr key={i}>
            <th scope="row">{name}</th>
            {names.map((_, j) => (
              <td key={j} className={i === j ? "same" : undefined}>
                {cell(i, j)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
