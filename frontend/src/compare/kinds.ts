/** The four kinds of concepts in the chart of two runs, and their colours. */
import { palette, type Rgb, rgb } from "../map/colouring";

/** Yellow and plum besides the orange of weak concepts. All differ in lightness too, for colour-blind readers. */
const ONLY = { light: ["#d9b600", "#54164f"], dark: ["#fff04d", "#b833e6"] };

/** In neither, in A only, in B only, in both. */
export function kindsOf(word: string, dark: boolean): { name: string; colour: Rgb }[] {
  const { weak, typical } = palette(dark);
  const [a, b] = ONLY[dark ? "dark" : "light"].map(rgb) as [Rgb, Rgb];
  return [
    { name: `${word} in neither`, colour: typical },
    { name: `${word} in A only`, colour: a },
    { name: `${word} in B only`, colour: b },
    { name: `${word} in both`, colour: weak },
  ];
}
