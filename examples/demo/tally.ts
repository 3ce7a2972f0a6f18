const mostLatest = 20;

/** What one master did with the requests that it got. */
export class Tally {
  answered = 0;
  failed = 0;
  /** The numbers of the requests that it answered last, newest first. */
  readonly latest: number[] = [];
  /** Whether the last request that it got was in vain. */
  silent = false;

  noteAnswer(request: number): void {
    this.answered++;
    this.silent = false;
    this.latest.unshift(request);
    if (this.latest.length > mostLatest) this.latest.pop();
  }

  noteFailure(): void {
    this.failed++;
    this.silent = true;
  }
}
