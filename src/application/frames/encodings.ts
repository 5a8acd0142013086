import type { FrameCodec } from '../../domain/pipeline.ts';
import { JsonLinesEncoding } from './json-lines-encoding.ts';
import type { MessageEncoding } from './message-encoding.ts';
import { PackedEncoding } from './packed-encoding.ts';

export function createMessageEncoding(codec: FrameCodec): MessageEncoding {
  return codec === 'packed' ? new PackedEncoding() : new JsonLinesEncoding();
}
