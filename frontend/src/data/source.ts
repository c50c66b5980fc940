/** Where data come from: the server, an exported folder, or the page itself. */
import type { RunList, SearchResult } from "./types";

export interface Source {
  mode: RunList["mode"];
  /** The bytes of a part, `runs.json` or `KEY/NAME`. */
  read(path: string): Promise<Uint8Array>;
  /** Whether it has a part; the page does not link to absent ones. */
  has(path: string): boolean;
  /** Null: there is no server, so the page searches the data itself. */
  search: ((key: string, query: string, signal: AbortSignal) => Promise<SearchResult>) | null;
}

/** The server's error message, or the status. */
async function refusal(answer: Response, path: string): Promise<Error> {
  const body = await answer.json().catch(() => null);
  return new Error(
    typeof body?.error === "string" ? body.error : `${path} could not be read (status ${answer.status}).`,
  );
}

async function fetched(path: string, init?: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch (error) {
    if (init?.signal?.aborted) throw error;
    throw new Error("The server does not answer. Is cgaps explore still running?");
  }
  if (!answer.ok) throw await refusal(answer, path);
  return answer;
}

const served: Source = {
  mode: "served",
  read: async (path) => new Uint8Array(await (await fetched(`data/${path}`)).arrayBuffer()),
  has: () => true,
  search: async (key, query, signal) =>
    (await fetched(`data/${key}/search?q=${encodeURIComponent(query)}`, { signal })).json() as Promise<SearchResult>,
};

declare global {
  interface Window {
    /** Called by each exported part when its script runs. */
    cgapsPart?: (name: string, content: string) => void;
  }
}

/** Parts that only a server has, because they are slow to compute. */
const SERVED_ONLY = /\/pairs\/\d+\.json$/;

/** An exported folder. Its parts are scripts, as a page opened from a folder may load nothing else. */
function exported(): Source {
  const arrived = new Map<string, string>();
  window.cgapsPart = (name, content) => arrived.set(name, content);
  const script = (path: string) =>
    new Promise<string>((done, failed) => {
      const element = document.createElement("script");
      element.src = `data/${path}.js`;
      element.onload = () => {
        element.remove();
        const content = arrived.get(path);
        arrived.delete(path);
        if (content === undefined) failed(new Error(`${path} is damaged: export the run again.`));
        else done(content);
      };
      element.onerror = () => {
        element.remove();
        failed(new Error(`${path} is missing from the exported folder.`));
      };
      document.head.append(element);
    });
  const read = async (path: string) => unzipped(await script(path));
  return { mode: "static", read, has: (path) => !SERVED_ONLY.test(path), search: null };
}

async function unzipped(content: string): Promise<Uint8Array> {
  const text = atob(content);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A single file. Parts are blocks of the page; a block of details names the numbers it has. */
function embedded(): Source {
  const blocks = new Map<string, Element>();
  for (const block of document.querySelectorAll<HTMLElement>('script[type="text/plain"]')) {
    const [, kind] = /^(.*)\/\d+$/.exec(block.id) ?? [];
    if (kind === undefined) blocks.set(block.id, block);
    for (const number of block.dataset.numbers?.split(" ") ?? []) blocks.set(`${kind}/${number}.json`, block);
  }
  const details = new Map<Element, Promise<Record<string, unknown>>>();
  const read = async (path: string): Promise<Uint8Array> => {
    const block = blocks.get(path);
    if (!block) throw new Error(`This file has no ${path}; the folder that cgaps export RUN FOLDER writes has it.`);
    const bytes = unzipped(block.textContent!);
    if (block.id === path) return bytes;
    const parsed = details.get(block) ?? bytes.then((bytes) => JSON.parse(new TextDecoder().decode(bytes)));
    details.set(block, parsed);
    return new TextEncoder().encode(JSON.stringify([(await parsed)[/(\d+)\.json$/.exec(path)![1]!]]));
  };
  return { mode: "file", read, has: (path) => blocks.has(path), search: null };
}

const SOURCES: Record<string, () => Source> = { static: exported, file: embedded };
export const source: Source = SOURCES[document.documentElement.dataset.mode ?? ""]?.() ?? served;
