import { settling } from './settle.ts';

/** Gives learners what they are newly entitled to; takes nothing away (R3). */
export const subscribe = settling('subscribe');
