import { MusterError } from '../domain/errors.ts';

/** A signal, or the end of who reads the output. Nothing is lost: what had begun goes on when it is started again. */
export class Interrupted extends MusterError {
  readonly code = 'interrupted';
  override readonly exit: number = 130;
  constructor() {
    super('interrupted. What had begun goes on from where it was when started again.');
  }
}
