/** What is shown, as Markdown for an assistant. */

/** Rows of a virtual table, of which the page holds only those in sight. */
const tables = new WeakMap<Element, () => string>();

/** Says how a virtual table is read. */
export const readsAs = (element: Element, read: () => string) => tables.set(element, read);

/** Nothing of what these hold is said: controls, and what is drawn over others. */
const LEFT_OUT = "input, select, textarea, svg:not([role=img]), [aria-hidden=true], [hidden], .tools, .actions";
const BLOCKS = "p, li, dl > div, h1, h2, h3, h4, h5, summary, blockquote, .quote, [role=img]";

/** The parts of a page in their order, each kind in its own form. `facts` are said first. */
export function markdown(title: string, facts: string[], pages: Element[]): string {
  const parts = [`# ${title}`, facts.map((fact) => `- ${fact}`).join("\n"), ...pages.flatMap(partsOf)];
  return `${parts.filter(Boolean).join("\n\n")}\n`;
}

function partsOf(element: Element): string[] {
  if (element.matches(LEFT_OUT) || isFolded(element)) return [];
  const read = tables.get(element);
  if (read) return [read()];
  if (element instanceof HTMLTableElement) return [tableOf(cellsOf(element))];
  if (element.matches(BLOCKS) && !element.querySelector(`table, ${BLOCKS}`)) return [blockOf(element)];
  return [...element.children].flatMap(partsOf);
}

/** What the reader did not unfold is not shown. */
const isFolded = (element: Element) =>
  element.parentElement?.matches("details:not([open])") === true && !element.matches("summary");

function blockOf(element: Element): string {
  const text = textOf(element);
  if (!text) return "";
  const level = /^H([1-5])$/.exec(element.tagName)?.[1];
  if (level) return `${"#".repeat(Number(level) + 1)} ${text}`;
  if (element.matches("li, dl > div")) return `- ${text}`;
  if (element.matches(".quote, blockquote")) return `> ${text}`;
  return element.matches("[role=img]") ? `(Chart: ${element.getAttribute("aria-label")})` : text;
}

/** The text in one line; a name and its value are set apart, and the strongest token stands out. */
function textOf(node: Node): string {
  if (node instanceof Text) return node.data;
  if (!(node instanceof Element) || node.matches(LEFT_OUT)) return "";
  const inside = [...node.childNodes].map(textOf).join("");
  const apart = node.matches("dt") ? `${inside}: ` : node.matches(".token.peak") ? `**${inside}**` : inside;
  const spaced = node.matches("span, dd, button, bdi, div") ? `${apart} ` : apart;
  return node.matches("p, li, h1, h2, h3, h4, h5, dl > div, summary, th, td, .quote") ? flat(spaced) : spaced;
}

const flat = (text: string) =>
  text
    .replace(/\s+/g, " ")
    .replace(/ ([,.;:)])/g, "$1")
    .trim();

const cellsOf = (table: HTMLTableElement) => [...table.rows].map((row) => [...row.cells].map(textOf));

export function tableOf([head, ...rows]: string[][]): string {
  if (!head) return "";
  const line = (cells: string[]) => `| ${cells.map((cell) => flat(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
