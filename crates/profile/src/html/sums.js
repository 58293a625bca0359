
// Sums by function, and by line.

// Own and total weight by key, recursion counted once. With `lines`, keys are those of frames.
function sumsOf(recording, weights, lines) {
  const keys = lines ? recording.frameKey : recording.frameFunction;
  const own = new Map(), total = new Map(), seen = new Map();
  let all = 0;
  for (let i = 0; i < recording.totals.length; i++) {
    const weight = weights[i];
    if (!(weight > 0)) continue;
    all += weight;
    let innermost = true;
    // A line's own weight has that of native code, waits and the collector below it; a function's has not.
    let given = false;
    for (let at = recording.totals.stack[i]; at >= 0; at = recording.stackParent[at]) {
      const frame = recording.stackFrame[at], key = keys[frame];
      const mine = lines ? !given && recording.frameKind[frame] === "python" : innermost;
      if (mine) {
        own.set(key, (own.get(key) ?? 0) + weight);
        given = true;
      }
      innermost = false;
      if (seen.get(key) === i) continue;
      seen.set(key, i);
      total.set(key, (total.get(key) ?? 0) + weight);
    }
  }
  return { own, total, all };
}

// Each state's weight.
function stateSums(recording, weights) {
  const sums = new Float64Array(STATES.length);
  for (let i = 0; i < weights.length; i++) sums[recording.totals.state[i]] += weights[i];
  return sums;
}
