import { ActionIcon, Button, CopyButton, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy, IconLink } from "@tabler/icons-react";
import { visible } from "../text";
import "./copied.css";

/** A command (or another line) with a button that copies it. */
export function Copied({ text }: { text: string }) {
  return (
    <div className="copied">
      <code>{visible(text)}</code>
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? "Copied" : "Copy"}>
            <ActionIcon variant="subtle" color="gray" aria-label="Copy the command" onClick={copy}>
              {copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </div>
  );
}

/** A button that copies the current address. */
export function CopyLink() {
  return (
    <CopyButton value={location.href}>
      {({ copied, copy }) => (
        <Button
          size="compact-xs"
          variant="default"
          leftSection={copied ? <IconCheck size={14} /> : <IconLink size={14} />}
          onClick={copy}
        >
          {copied ? "Link copied" : "Copy link"}
        </Button>
      )}
    </CopyButton>
  );
}
