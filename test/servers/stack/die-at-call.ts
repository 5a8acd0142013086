// Loaded into the processes of functions (`--import`): one of them ends itself at a call over the network, as a crash would.
// Its clients run on sockets of Node's, AWS's runtime client does not: what is counted is the function's own.
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { Socket } from 'node:net';
import { takenOrder, orderFile, type DeathOrder } from './death-orders.ts';

const folder = process.env['DEATH_ORDERS'] ?? '';
const name = process.env['AWS_LAMBDA_FUNCTION_NAME'] ?? '';

let order: DeathOrder | null = null;
let calls = 0;
let awaiting: Socket | null = null;

/** One process takes an order, and no other after it. */
function takeOrder(): void {
  const file = orderFile(folder, name);
  if (!existsSync(file)) return;
  const taken = JSON.parse(readFileSync(file, 'utf8')) as DeathOrder;
  renameSync(file, takenOrder(folder, name));
  order = taken;
  calls = 0;
  awaiting = null;
}

const die = () => process.kill(process.pid, 'SIGKILL');

function aboutToSend(socket: Socket): void {
  if ('_isStdio' in socket) return;
  takeOrder();
  // Called off.
  if (order !== null && !existsSync(takenOrder(folder, name))) order = null;
  if (order === null || calls++ !== order.call) return;
  if (order.moment === 'before') die();
  awaiting = socket;
}

const { _write, _writev, push } = Socket.prototype;
Socket.prototype._write = function (...data) {
  aboutToSend(this);
  _write.apply(this, data);
};
Socket.prototype._writev = function (...data) {
  aboutToSend(this);
  _writev?.apply(this, data);
};
Socket.prototype.push = function (...data) {
  // The answer has arrived, and nobody has seen it.
  if (awaiting === this && data[0] !== null) die();
  return push.apply(this, data);
};
