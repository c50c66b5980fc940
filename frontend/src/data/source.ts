/** Where parts come from: the server that showed this page, the folder that it was exported to, or the page itself. */
import type { ChatEvent, ChatRequest, RunList, SearchResult } from "./types";

export interface Source {
  mode: RunList["mode"];
  /** The bytes of a part, `runs.json` or `KEY/NAME`. */
  read(path: string): Promise<Uint8Array>;
  /** Null where the data must be searched here. */
  search: ((key: string, query: string, signal: AbortSignal) => Promise<SearchResult>) | null;
  /** Null where there is nobody to ask. */
  chat: ((request: ChatRequest, signal: AbortSignal) => AsyncGenerator<ChatEvent>) | null;
}

/** What went wrong, in the server's own sentence where it has one. */
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

async function* ask(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
  const answer = await fetched("chat", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
    signal,
  });
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    const lines = rest.split("\n");
    rest = done ? "" : (lines.pop() ?? "");
    for (const line of lines) if (line.trim()) yield JSON.parse(line) as ChatEvent;
    if (done) return;
  }
}

const served: Source = {
  mode: "served",
  read: async (path) => new Uint8Array(await (await fetched(`data/${path}`)).arrayBuffer()),
  search: async (key, query, signal) =>
    (await fetched(`data/${key}/search?q=${encodeURIComponent(query)}`, { signal })).json() as Promise<SearchResult>,
  chat: ask,
};

declare global {
  interface Window {
    /** Called by each exported part when its script runs. */
    cgapsPart?: (name: string, content: string) => void;
  }
}

/** An export does not hold what was asked for. */
export class LeftOut extends Error {}

/** What takes long is made only where somebody asks for it. */
const SERVED = /\/pairs\/\d+\.json$/;
const LEFT_OUT = "Exports leave this out; cgaps explore RUN shows it.";

/** Parts of an exported page are scripts, the one thing that a page opened from a folder may load. */
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
  const read = async (path: string) => {
    if (SERVED.test(path)) throw new LeftOut(LEFT_OUT);
    return unzipped(await script(path));
  };
  return { mode: "static", read, search: null, chat: null };
}

async function unzipped(content: string): Promise<Uint8Array> {
  const text = atob(content);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Parts inside of the page itself; details of a kind are in one part, by their numbers, and most are left out. */
function inside(): Source {
  const block = (name: string) => document.getElementById(name)?.textContent ?? null;
  const details = new Map<string, Promise<Record<string, unknown>>>();
  const read = async (path: string): Promise<Uint8Array> => {
    const whole = block(path);
    if (whole !== null) return unzipped(whole);
    const [, kind, number] = /^(.*)\/(\d+)\.json$/.exec(path) ?? [];
    const held = kind === undefined ? null : block(`${kind}.json`);
    if (kind !== undefined && number !== undefined && held !== null) {
      if (!details.has(kind))
        details.set(
          kind,
          unzipped(held).then((bytes) => JSON.parse(new TextDecoder().decode(bytes))),
        );
      const detail = (await details.get(kind))?.[number];
      if (detail !== undefined) return new TextEncoder().encode(JSON.stringify([detail]));
    }
    const elsewhere = "The single-file export leaves this out; the folder written by cgaps export RUN FOLDER has it.";
    throw new LeftOut(SERVED.test(path) ? LEFT_OUT : elsewhere);
  };
  return { mode: "file", read, search: null, chat: null };
}

const SOURCES: Record<string, () => Source> = { static: exported, file: inside };
export const source: Source = SOURCES[document.documentElement.dataset.mode ?? ""]?.() ?? served;
