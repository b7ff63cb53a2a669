/** Server-sent events (HTML Living Standard 9.2.6), read from bytes without I/O. */

export interface ServerEvent {
  /** `message` unless given. */
  name: string;
  data: string;
}

/** Cuts a stream into events, however it is cut into pieces. */
export class EventReader {
  readonly #decoder = new TextDecoder();
  #rest = "";
  #name = "";
  #data: string[] = [];

  /** The events that this piece completes. */
  feed(piece: Uint8Array): ServerEvent[] {
    const text = this.#rest + this.#decoder.decode(piece, { stream: true });
    // The \n of a \r\n may come with the next piece: until then its line has not ended.
    const lines = text.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    const events: ServerEvent[] = [];
    for (const line of lines) {
      const [, field, value = ""] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
      if (field === "data") this.#data.push(value);
      else if (field === "event") this.#name = value;
      else if (!line) {
        if (this.#data.length) events.push({ name: this.#name || "message", data: this.#data.join("\n") });
        this.#name = "";
        this.#data = [];
      }
    }
    return events;
  }
}
