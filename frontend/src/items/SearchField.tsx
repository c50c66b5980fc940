import { TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { go, useRoute } from "../app/route";

/** Full-text search; what is typed lies in the address. */
export function SearchField({ disabled }: { disabled: boolean }) {
  const query = useRoute().params.get("q") ?? "";
  const [typed, setTyped] = useState(query);
  useEffect(() => setTyped(query), [query]);
  const set = (value: string) => {
    setTyped(value);
    go({ params: { q: value } }, true);
  };
  return (
    <TextInput
      size="xs"
      className="search"
      type="search"
      aria-label="Search prompts, responses and answers"
      data-testid="items-search"
      placeholder={disabled ? "Search is off: texts are left out" : "Search prompts, responses, answers, ids"}
      leftSection={<IconSearch size={14} />}
      value={typed}
      disabled={disabled}
      onChange={(event) => set(event.currentTarget.value)}
    />
  );
}
