import { TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { go, useRoute } from "../app/route";

interface SearchProps {
  label: string;
  placeholder?: string;
  testId: string;
  disabled?: boolean;
}

/** A search box bound to `q=` in the address; typing shows at once, and the table follows. */
export function SearchField({ label, placeholder = label, testId, disabled }: SearchProps) {
  const query = useRoute().params.get("q") ?? "";
  const [typed, setTyped] = useState(query);
  useEffect(() => setTyped(query), [query]);
  return (
    <TextInput
      size="xs"
      className="search"
      type="search"
      aria-label={label}
      placeholder={placeholder}
      data-testid={testId}
      leftSection={<IconSearch size={14} />}
      value={typed}
      disabled={disabled}
      onChange={({ currentTarget: { value } }) => {
        setTyped(value);
        go({ params: { q: value } }, true);
      }}
    />
  );
}
