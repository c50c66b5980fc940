import { ActionIcon } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import { go, useRoute } from "../app/route";
import { useRun } from "../app/state";
import "./glossary.css";

/** All words of the explorer, over the view that is shown; `glossary=gap` in the address opens it at one. */
export function Glossary() {
  const { glossary } = useRun();
  const term = useRoute().params.get("glossary");
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    if (!element?.isConnected) return;
    if (!element.open) element.showModal();
    const entry = element.querySelector<HTMLElement>("[data-chosen]");
    if (entry) entry.scrollIntoView({ block: "center" });
  }, [term]);
  const close = () => go({ params: { glossary: null } }, true);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog already.
    <dialog
      ref={dialog}
      className="glossary"
      aria-label="Glossary"
      data-testid="glossary"
      onClose={close}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <div className="glossary-page">
        <ActionIcon
          className="close"
          variant="subtle"
          color="gray"
          aria-label="Close the glossary"
          onClick={() => dialog.current?.close()}
        >
          <IconX size={18} />
        </ActionIcon>
        <h2>Glossary</h2>
        <dl>
          {glossary.map((entry) => (
            <div key={entry.key} data-chosen={entry.key === term || undefined} data-term={entry.key}>
              <dt>{entry.title}</dt>
              <dd>{entry.meaning}</dd>
            </div>
          ))}
        </dl>
      </div>
    </dialog>
  );
}
