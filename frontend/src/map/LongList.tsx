import { useElementSize, useMergedRef } from "@mantine/hooks";
import { type ReactNode, useEffect, useRef, useState } from "react";

const BESIDE = 6;

/** A list of rows of one height, of which only those in sight are made. */
export function LongList({
  count,
  rowHeight,
  label,
  empty,
  row,
}: {
  count: number;
  rowHeight: number;
  label: string;
  empty: string;
  row: (index: number) => ReactNode;
}) {
  const { ref, height } = useElementSize();
  const box = useRef<HTMLDivElement>(null);
  const both = useMergedRef(ref, box);
  const [top, setTop] = useState(0);
  useEffect(() => {
    if (box.current) box.current.scrollTop = 0;
    setTop(0);
  }, [count]);
  const first = Math.max(0, Math.floor(top / rowHeight) - BESIDE);
  const last = Math.min(count, Math.ceil((top + Math.max(height, 200)) / rowHeight) + BESIDE);
  return (
    <div
      ref={both}
      className="long-list"
      role="group"
      tabIndex={0}
      aria-label={label}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
    >
      {count === 0 && <p className="soft long-list-empty">{empty}</p>}
      <div style={{ height: count * rowHeight, position: "relative" }}>
        <ul style={{ position: "absolute", top: first * rowHeight, left: 0, right: 0 }}>
          {Array.from({ length: last - first }, (_, i) => (
            <li key={first + i} style={{ height: rowHeight }}>
              {row(first + i)}
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
