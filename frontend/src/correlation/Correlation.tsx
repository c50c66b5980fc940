export function Correlation() {
  return <h1>Correlation</h1>;
}
