export function ConceptMap() {
  return <h1>ConceptMap</h1>;
}
