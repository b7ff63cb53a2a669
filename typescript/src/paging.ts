/** Lists that come in pages. */

/** How a cursor begins that we made: old versions of the platform's API have none in their lists, just offsets. */
export const OFFSET = "offset=";

/** One page: an Array of its rows that knows where the next page is. `for await` goes on through all pages that follow. */
export class Page<T> extends Array<T> {
  #cursor: string | undefined;
  #more: ((cursor: string) => Promise<Page<T>>) | undefined;

  static of_<T, P extends Page<T>>(
    page: P,
    rows: T[],
    meta: { hasMore: boolean; nextCursor?: string },
    more: (cursor: string) => Promise<Page<T>>,
  ): P {
    for (const row of rows) page.push(row);
    page.#cursor = meta.hasMore ? meta.nextCursor || undefined : undefined;
    page.#more = more;
    return page;
  }

  /** `map`, `filter` and their like give plain Arrays. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  /** The rows, as the platform's SDK names them. */
  get data(): T[] {
    return Array.from(this);
  }

  /** There were more rows when this page was read. */
  get hasMore(): boolean {
    return this.#cursor !== undefined;
  }

  /** What to give as `cursor` for the next page. Undefined on the last one. */
  get nextCursor(): string | undefined {
    return this.#cursor;
  }

  /** The page after this one; after the last one an empty page. */
  async nextPage(): Promise<Page<T>> {
    return this.#cursor === undefined ? new Page<T>() : this.#more!(this.#cursor);
  }

  /** Every row from this page on. Further pages are read when they are reached. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    for (let page: Page<T> = this; page.length || page.hasMore; page = await page.nextPage()) yield* page.data;
  }
}
