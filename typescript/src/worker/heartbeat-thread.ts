/** The thread of the heartbeats. */

import { parentPort, workerData } from "node:worker_threads";
import { Connection } from "../transport.js";
import { Heart, type Start, type Word } from "./heartbeat.js";

const start: Start = workerData;
const heart = new Heart(new Connection(start.settings), start, (found) => parentPort?.postMessage(found));
parentPort?.on("message", (word: Word) => heart.take(word));
parentPort?.postMessage("ready");
