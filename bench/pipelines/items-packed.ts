import { declareItems } from './declare-items.ts';

export default declareItems('packed');
