import type { ChatState } from "../data/types";
import { visible } from "../text";
import { Copied } from "../ui/Copied";

/** Why nobody answers here, and how somebody would. */
export function Off({ state }: { state: ChatState }) {
  return (
    <div className="chat-off sheet" data-testid="chat-off">
      <h2>Nobody answers questions here yet</h2>
      <p>{visible(state.note)}</p>
      <h3>With a model of your own</h3>
      <p>
        Any OpenAI-compatible server whose model can call tools will do, on this machine or elsewhere. It is given the
        question and the results of read-only queries about the run; each number of its answer is then looked up in
        those results.
      </p>
      <Copied text="cgaps explore RUN --base-url http://localhost:8080/v1 --model NAME" />
      <h3>With an assistant that you use already</h3>
      <p>
        The same queries are offered over the Model Context Protocol. Give your assistant this command as an MCP server:
      </p>
      <Copied text="cgaps mcp RUN" />
    </div>
  );
}
