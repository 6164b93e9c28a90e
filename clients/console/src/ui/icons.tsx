/** Icons of 16 by 16, drawn with one stroke. They are decoration: a word stands next to each. */

const PATHS = {
  overview: "M2 13.5h12M4 13.5V9M8 13.5V4M12 13.5V7",
  executions: "M5 3.2l7.5 4.8L5 12.8z",
  errors: "M8 2.5l6.3 11H1.7zM8 6.8v3M8 11.6v.1",
  workflows: "M3 3h4v4H3zM9 9h4v4H9zM7 5h4v4",
  tasks: "M2.5 4l1.2 1.2L6 3M2.5 9l1.2 1.2L6 8M8.5 4.2h5M8.5 9.2h5M8.5 13.2h5M2.7 13.2h2.6",
  queries: "M7 2.7a4.3 4.3 0 110 8.6 4.3 4.3 0 010-8.6zM10.2 10.2l3.6 3.6",
  schedules: "M8 2.2a5.8 5.8 0 110 11.6A5.8 5.8 0 018 2.2zM8 5v3.2l2.2 1.5",
  users: "M8 8.2a2.8 2.8 0 100-5.6 2.8 2.8 0 000 5.6zM2.7 13.6c.5-2.4 2.6-3.8 5.3-3.8s4.8 1.4 5.3 3.8",
  audit: "M4 2.2h5.5L12.5 5v8.8H4zM6 7.5h4.5M6 10.2h4.5",
  health: "M1.8 8h3l1.9-4.4 2.7 8.8 1.9-4.4h2.9",
  copy: "M6 6h7.3v7.3H6zM10 6V2.7H2.7V10H6",
  check: "M3 8.5l3.2 3.2L13 4.5",
  close: "M4 4l8 8M12 4l-8 8",
  external: "M6.5 3.5H3v9.5h9.5V9.5M9.5 2.7h3.8v3.8M13 3L7.5 8.5",
  refresh: "M13.3 8A5.3 5.3 0 113 6.2M3 2.8v3.4h3.4",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  sun: "M8 5.2a2.8 2.8 0 110 5.6 2.8 2.8 0 010-5.6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9",
  leave: "M9.5 4V2.5H3v11h6.5V12M6.5 8h7.3M11.3 5.5L13.8 8l-2.5 2.5",
  first: "M4 3.5v9M12 3.5L7.5 8l4.5 4.5",
  previous: "M10 3.5L5.5 8l4.5 4.5",
  next: "M6 3.5L10.5 8 6 12.5",
  last: "M12 3.5v9M4 3.5L8.5 8 4 12.5",
  stop: "M8 2.2a5.8 5.8 0 110 11.6A5.8 5.8 0 018 2.2zM4 4l8 8",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
