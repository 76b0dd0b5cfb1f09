import { MusterError } from '../domain/errors.ts';

/** The source is not there, or cannot be read. */
export class SourceUnavailable extends MusterError {
  readonly code = 'source-unavailable';
  override readonly retry = true;
}

/** The file grew, shrank or was replaced while it was read. */
export class SourceChanged extends MusterError {
  readonly code = 'source-changed';

  constructor(path: string) {
    super(
      `${path} was changed while it was read. Nothing was changed. Import it again once whatever writes it has finished.`,
    );
  }
}

/** The file has no header that fits the feed (R16). */
export class HeaderUnfit extends MusterError {
  readonly code = 'header-unfit';
}

/** The file breaks off within a row (R16). `row`: of the file, header = 1. */
export class BrokenOff extends MusterError {
  readonly code = 'broken-off';
  readonly row: number;

  constructor(name: string, row: number, how: string) {
    super(`${name} breaks off within row ${row}: ${how}. Nothing was changed. Have the file delivered again, whole.`);
    this.row = row;
  }
}

/** So many rows are rejected that the file is none of this feed's, or is mapped wrongly. `first`: one of them. */
export class TooManyRejected extends MusterError {
  readonly code = 'too-many-rejected';

  constructor(name: string, most: number, first: { readonly row: number; readonly message: string }) {
    super(
      `More than ${most} rows of ${name} are rejected, for example row ${first.row}: ${first.message} ` +
        "Nothing was changed. Look whether this is the feed's file, and whether the feed maps its columns and values as they are.",
    );
  }
}

/** The bytes are not text in the encoding that the file was taken to have. */
export class WrongEncoding extends MusterError {
  readonly code = 'wrong-encoding';
}
