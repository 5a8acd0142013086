import { declareColumns } from './declare-columns.ts';

export default declareColumns(['lane', 'quantity', 'delay_minutes']);
