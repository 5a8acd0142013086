/*
 * The little of a browser that the page's script uses. The DOM's own types would be there for all of Sluice, where
 * there is no DOM.
 */

export interface PageElement {
  textContent: string | null;
  value: string;
  hidden: boolean;
  disabled: boolean;
  className: string;
  readonly classList: { add(name: string): void; remove(name: string): void };
  readonly style: { height: string };
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  append(...children: (PageElement | string)[]): void;
  replaceChildren(...children: (PageElement | string)[]): void;
  addEventListener(event: string, listener: () => void): void;
}

export interface PageDocument {
  readonly documentElement: PageElement;
  getElementById(id: string): PageElement | null;
  createElement(tag: string): PageElement;
}

export interface Browser {
  readonly document: PageDocument;
  readonly innerWidth: number;
  addEventListener(event: string, listener: () => void): void;
  getComputedStyle(element: PageElement): { getPropertyValue(name: string): string };
  matchMedia(query: string): { addEventListener(event: 'change', listener: () => void): void };
}

/** Chart.js, as far as it is used: its own types need the DOM's. */
export interface Chart {
  destroy(): void;
}

export interface ChartClass {
  new (canvas: PageElement, configuration: object): Chart;
  readonly defaults: { font: { family: string; size: number }; color: string; borderColor: string };
}

/** Colours of the page as it looks just now. */
export interface Palette {
  readonly text: string;
  readonly faint: string;
  readonly grid: string;
  readonly range: string;
  readonly surface: string;
  readonly first: string;
  readonly firstSoft: string;
  readonly second: string;
  readonly secondSoft: string;
  readonly third: string;
}
