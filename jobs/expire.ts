import { settling } from './settle.ts';

/** Subscribes, and ends what nothing gives any more, with progress saved (R7); a move is one step (R9). */
export const expire = settling('expire');
