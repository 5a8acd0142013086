import type { MessagesBody } from '../../domain/frame.ts';

/** One message, taken out of the pipeline's hands: what happens to the object afterwards does not show. */
export interface EncodedMessage {
  /**
   * What it adds to a body, in bytes. A little text counts as if it were ASCII until the body has written it: it may have three times the bytes.
   */
  readonly size: number;
}

/** How the messages of one frame become bytes, message by message, so that a frame can be cut by its size. */
export interface MessageEncoding<Encoded extends EncodedMessage = EncodedMessage> {
  /** @throws DomainError `E_MESSAGE_UNSUPPORTED` */
  encode(message: unknown): Encoded;
  /** Bytes of a message, whatever its text is. */
  measure(message: Encoded): number;
  startBody(): MessagesBodyWriter<Encoded>;
  /** @throws InfrastructureError `E_FRAME_CORRUPT`; a TypeError or RangeError where data has another shape than it should */
  read(bytes: Uint8Array): MessagesBody;
}

/** Collects the messages of one frame. The bytes are canonical: equal messages at equal positions, equal bytes. */
export interface MessagesBodyWriter<Encoded extends EncodedMessage = EncodedMessage> {
  readonly count: number;
  /** Bytes of the messages so far, before compression; where text is waiting that is not ASCII, up to 40 KiB too few. */
  readonly size: number;
  /** @param message what the encoding that started the body has encoded */
  add(message: Encoded, coordinate: number, output: number): void;
  finish(): Uint8Array;
}
