
// Colours: the hue says what kind of frame it is, the shade tells neighbours apart. The same name always has the same one.

const darkScheme = matchMedia("(prefers-color-scheme: dark)");
const STATE_COLOURS = { running: "#ee8a35", native: "#5b9df0", gil: "#e2506a", waiting: "#79b5ae", suspended: "#a9c98f", idle: "#c3c9d3" };
const STATE_COLOURS_DARK = { running: "#e08a3e", native: "#4f8edb", gil: "#d4506a", waiting: "#5d958f", suspended: "#6d8a55", idle: "#4a515d" };

function stateColour(state) {
  return (darkScheme.matches ? STATE_COLOURS_DARK : STATE_COLOURS)[state];
}

function isLibrary(file) {
  return file.startsWith("<") ||
    ["/site-packages/", "/dist-packages/", "/lib/python3", "/lib64/python3"].some((part) => file.includes(part));
}

const encoder = new TextEncoder();
function hashOf(text) {
  let hash = 0x811c9dc5;
  for (const byte of encoder.encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return ((hash ^ (hash >>> 16)) >>> 0) % 1000 / 1000;
}

// Hue, saturation and lightness; the lightness is that on white.
function colourOf(name, file, kind) {
  const byFile = hashOf(file), byName = hashOf(name);
  switch (kind) {
    case "native": return [206 + 14 * byFile, 70, 75 + 8 * byName];
    case "gc": return [280, 52, 76 + 6 * byName];
    case "wait": return [168 + 16 * byName, 28, 70 + 8 * byName];
    case "task": return [112, 42, 72 + 6 * byName];
    case "gil": return [352, 79, 76];
    case "group": return [220, 18, 86];
    case "outside": return [0, 0, 88];
    default: return isLibrary(file) ? [45 + 6 * byFile, 72, 77 + 6 * byName] : [16 + 24 * byFile, 88, 62 + 10 * byName];
  }
}

function css([hue, saturation, lightness], faded) {
  // On a dark page, a shade less bright; dark letters on it stay readable.
  const light = darkScheme.matches ? lightness * 0.86 : lightness;
  return `hsl(${hue} ${darkScheme.matches ? saturation * 0.75 : saturation}% ${light}% / ${faded ? 0.3 : 1})`;
}

// Of a change in share: red has grown, blue has shrunk; the stronger, the more.
function changeColour(before, after) {
  const change = after - before;
  if (Math.abs(change) < 5e-4) return darkScheme.matches ? "#8b919b" : "#e3e5ea";
  const strength = Math.min(1, Math.abs(change) / Math.max(before, after)) ** 0.6;
  const visible = strength * Math.min(1, 0.35 + Math.abs(change) * 12);
  const lightness = (darkScheme.matches ? 74 : 90) - 34 * visible;
  return change > 0 ? `hsl(6 ${40 + 45 * visible}% ${lightness}%)` : `hsl(215 ${40 + 45 * visible}% ${lightness}%)`;
}
