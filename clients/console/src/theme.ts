/** Dark or light: the system's choice, unless one chooses. */
import { createStore } from "./store";

const NAME = "torale.console.theme";
const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

export const THEME_WORDS: Readonly<Record<Theme, string>> = {
  system: "Theme: system",
  light: "Theme: light",
  dark: "Theme: dark",
};

function stored(): Theme {
  try {
    const found = localStorage.getItem(NAME);
    return THEMES.find((theme) => theme === found) ?? "system";
  } catch {
    return "system";
  }
}

export const theme = createStore<Theme>(stored());

export const next = (current: Theme): Theme => THEMES[(THEMES.indexOf(current) + 1) % THEMES.length] ?? "system";

/** Applies the choice to the page, now and after each change. */
export function applyTheme(): void {
  const apply = () => {
    document.documentElement.dataset["theme"] = theme.get();
    try {
      localStorage.setItem(NAME, theme.get());
    } catch {
      // Without storage the choice lasts until the page is left.
    }
  };
  apply();
  theme.subscribe(apply);
}
