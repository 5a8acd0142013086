import type { TextWindow } from './text-window.ts';

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Moves a window that stands at the text's start past its byte order mark, if there is one. */
export async function skipByteOrderMark(window: TextWindow): Promise<void> {
  await window.fill(BYTE_ORDER_MARK.length);
  const { buffer, start } = window;
  if (
    window.held >= BYTE_ORDER_MARK.length &&
    BYTE_ORDER_MARK.every((byte, i) => buffer[start + i] === byte)
  ) {
    window.start += BYTE_ORDER_MARK.length;
  }
}
