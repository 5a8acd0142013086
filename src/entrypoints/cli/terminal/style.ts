import { styleText } from 'node:util';

/** Marks text by its meaning; leaves it as it is where there is no colour. */
export interface Style {
  readonly strong: (text: string) => string;
  readonly faint: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly accent: (text: string) => string;
}

type Format = Parameters<typeof styleText>[0];

export function createStyle(color: boolean): Style {
  // Whether the stream takes colour was decided before: `styleText` is not to ask its own stdout.
  const styled = (format: Format) => (text: string) =>
    color ? styleText(format, text, { validateStream: false }) : text;
  return {
    strong: styled('bold'),
    faint: styled('dim'),
    good: styled('green'),
    bad: styled('red'),
    warning: styled('yellow'),
    accent: styled('cyan'),
  };
}
