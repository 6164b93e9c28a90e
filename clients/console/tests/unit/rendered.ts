/** What components without state and effects become, without a browser. */
import { type ComponentChildren, isValidElement, type VNode } from "preact";

type Element = VNode<Record<string, unknown>>;

/** Elements and texts, one right after the other; of a component, those that it becomes. */
function partsOf(children: ComponentChildren): (string | Element)[] {
  if (Array.isArray(children)) return children.flatMap(partsOf);
  if (!isValidElement(children)) return typeof children === "string" || typeof children === "number" ? [String(children)] : [];
  const { type, props } = children as Element;
  if (typeof type === "function") return partsOf((type as (props: unknown) => ComponentChildren)(props));
  return [children as Element, ...partsOf(props.children)];
}

export const textOf = (children: ComponentChildren): string => [...partsOf(children)].filter((part) => typeof part === "string").join("");

/** Where the links lead. */
export const linksOf = (children: ComponentChildren): unknown[] =>
  [...partsOf(children)].flatMap((part) => (typeof part !== "string" && part.type === "a" ? [part.props["href"]] : []));
