/** The console: a page for administrators over the admin API. */
import { QueryClientProvider } from "@tanstack/preact-query";
import { render } from "preact";
import { newQueryClient } from "./api/queries";
import { App } from "./app";
import { follow } from "./route";
import { session } from "./session";
import { applyTheme } from "./theme";
import { forgetSightings } from "./users/sightings";
import "./styles/index.css";

applyTheme();
follow();

const client = newQueryClient();
// What one session has read is not for the next one.
session.subscribe(() => {
  if (session.get().credentials !== null) return;
  client.clear();
  forgetSightings();
});
addEventListener("online", () => void client.refetchQueries({ type: "active" }, { cancelRefetch: true }));

const root = document.getElementById("console");
if (root) {
  render(
    <QueryClientProvider client={client}>
      <App />
    </QueryClientProvider>,
    root,
  );
}
