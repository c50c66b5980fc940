export function ItemPanel({ row }: { row: number }) {
  return <h2>ItemPanel {row}</h2>;
}
