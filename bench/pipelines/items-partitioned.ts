import { declareItems } from './declare-items.ts';

/** Every section has messages for each of the 32 partitions: most frames, and most to remember. */
export default declareItems('packed', (message) => message.transportLaneIdentifier ?? '');
