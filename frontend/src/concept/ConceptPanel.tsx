export function ConceptPanel({ concept }: { concept: number }) {
  return <h2>ConceptPanel {concept}</h2>;
}
