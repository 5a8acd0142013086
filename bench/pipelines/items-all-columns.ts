import { declareColumns } from './declare-columns.ts';

export default declareColumns(undefined);
