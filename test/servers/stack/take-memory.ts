// Loaded into the processes of functions (`--import`): told by a signal, one of them takes memory until it is killed for it, as
// code would that keeps all it is given.
process.on('SIGUSR2', () => {
  const taken: Uint8Array[] = [];
  for (;;) taken.push(new Uint8Array(16 * 2 ** 20).fill(1));
});
