import { ActionIcon, Button, Textarea, Tooltip } from "@mantine/core";
import { IconArrowUp, IconPlayerStopFilled } from "@tabler/icons-react";
import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useRun, useRunList } from "../app/state";
import { source } from "../data/source";
import type { ChatState } from "../data/types";
import { visible } from "../text";
import { Copied } from "../ui/Copied";
import { Heading } from "../ui/Heading";
import { ask, forget, stop, useConversation } from "./conversation";
import { TurnView } from "./TurnView";
import "./chat.css";

/** Questions in plain language, answered by a model that looks things up in the run. */
export function Chat() {
  const { chat } = useRunList();
  // An exported page, which has nobody to ask, does not offer this view.
  if (chat === null) return null;
  const on = chat.configured && source.chat !== null;
  return (
    <div className="chat">
      <Heading suite="on the whole suite">Chat</Heading>
      <p className="lead">
        Ask about this run in plain language. A model chooses queries, the page shows their results, and every number in
        the answer links to the query behind it.
      </p>
      {on ? <Talk state={chat} /> : <Off state={chat} />}
    </div>
  );
}

function Talk({ state }: { state: ChatState }) {
  const run = useRun();
  const { turns, running } = useConversation(run.key);
  const end = useRef<HTMLDivElement>(null);
  const last = turns.at(-1);
  // biome-ignore lint/correctness/useExhaustiveDependencies: scrolls for a new turn and for the end of an answer.
  useEffect(() => {
    const view = end.current?.closest("main");
    if (last && view) view.scrollTop = view.scrollHeight;
  }, [last?.id, last?.answer, last?.error]);
  return (
    <>
      <div className="chat-notice">
        <p data-testid="chat-notice">
          <strong>{visible(state.model ?? "")}</strong> answers. {visible(state.note)}
        </p>
        {turns.length > 0 && !running && (
          <Button size="compact-sm" variant="default" data-testid="chat-new" onClick={() => forget(run.key)}>
            New conversation
          </Button>
        )}
      </div>
      {turns.length === 0 && <Examples />}
      <div className="chat-turns">
        {turns.map((turn) => (
          <TurnView key={turn.id} turn={turn} running={running && turn === last} />
        ))}
        <div ref={end} />
      </div>
      <Box running={running} />
    </>
  );
}

function Examples() {
  const run = useRun();
  return (
    <ul className="chat-examples" aria-label="Questions to begin with">
      {QUESTIONS.map((question) => (
        <li key={question}>
          <Button variant="default" size="sm" data-testid="chat-example" onClick={() => void ask(run.key, question)}>
            <bdi>{question}</bdi>
          </Button>
        </li>
      ))}
    </ul>
  );
}

/** Where one asks: Enter sends, Shift and Enter begin a new line. */
function Box({ running }: { running: boolean }) {
  const run = useRun();
  const [text, setText] = useState("");
  const send = (event?: FormEvent) => {
    event?.preventDefault();
    if (running || !text.trim()) return;
    void ask(run.key, text.trim());
    setText("");
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form className="chat-box" onSubmit={send}>
      <Textarea
        className="chat-input"
        aria-label="Question"
        placeholder="Ask about this run"
        rows={2}
        maxLength={8000}
        value={text}
        data-testid="chat-input"
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      {running ? (
        <Tooltip label="Stop">
          <ActionIcon
            size="lg"
            variant="default"
            aria-label="Stop"
            data-testid="chat-stop"
            onClick={() => stop(run.key)}
          >
            <IconPlayerStopFilled size={16} />
          </ActionIcon>
        </Tooltip>
      ) : (
        <Tooltip label="Send">
          <ActionIcon size="lg" type="submit" aria-label="Send" data-testid="chat-send" disabled={!text.trim()}>
            <IconArrowUp size={18} />
          </ActionIcon>
        </Tooltip>
      )}
    </form>
  );
}

const QUESTIONS = [
  "What are the most important findings, and does the other half of the items show them too?",
  "Show me failing and passing items of the first finding.",
  "Which benchmark has most weak concepts?",
  "What do the benchmarks fail to test?",
];

/** Why there is no chat here, and how to set one up. */
function Off({ state }: { state: ChatState }) {
  return (
    <div className="chat-off sheet" data-testid="chat-off">
      <h2>No model is set up to answer questions yet</h2>
      <p>{visible(state.note)}</p>
      <p>
        Any OpenAI-compatible server whose model can call tools will do. It gets the question and the answers of
        read-only tools about the run, and each number it states is looked up in these. An assistant that you already
        use can call the same tools over the Model Context Protocol.
      </p>
      <Copied text="cgaps mcp RUN" />
    </div>
  );
}
