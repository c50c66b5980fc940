export function Suggestions() {
  return <h1>Suggestions</h1>;
}
