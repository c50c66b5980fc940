/** Draws points as discs with WebGL2: one call for all of them, so that 131,072 move with the pointer. */
import { type Frame, growth, type Points, type View } from "./points";

export interface Painter {
  /** No graphics card helps: a crowd of points is too much for each step of a movement. */
  slow: boolean;
  /** Takes points over; they are drawn at the next `draw`. */
  load(points: Points): void;
  /** `thinned`: leaves most of a crowd out, for a picture that moves where drawing is slow. */
  draw(frame: Frame, view: View, pixelRatio: number, thinned: boolean): void;
  dispose(): void;
}

const VERTEX = `#version 300 es
in vec2 at;
in float radius;
in vec4 colour;
uniform vec2 scale;
uniform vec2 shift;
uniform vec2 size;
uniform float grown;
out vec4 paint;
out float reach;
void main() {
  vec2 pixel = at * scale + shift;
  gl_Position = vec4(pixel.x / size.x * 2.0 - 1.0, 1.0 - pixel.y / size.y * 2.0, 0.0, 1.0);
  reach = radius * grown;
  gl_PointSize = 2.0 * reach + 1.0;
  paint = colour;
}`;

// An outline in the colour of the paper keeps large discs apart; small ones have no room for it.
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 paint;
in float reach;
uniform vec3 paper;
uniform float line;
out vec4 drawn;
void main() {
  float away = length(gl_PointCoord - 0.5) * (2.0 * reach + 1.0);
  float inside = clamp(reach + 0.5 - away, 0.0, 1.0);
  if (inside <= 0.0) discard;
  float edge = reach > 2.6 * line ? clamp(away - (reach - line) + 0.5, 0.0, 1.0) * 0.85 : 0.0;
  float alpha = paint.a * inside;
  drawn = vec4(mix(paint.rgb, paper, edge) * alpha, alpha);
}`;

/** Points of the crowd that a moving picture keeps where drawing is slow. */
const KEPT = 12_000;

/** Indices of the points of a moving picture: evenly chosen of the crowd, and all others. */
export function thinnedOut({ count, crowd }: Points): Uint32Array {
  const step = Math.max(1, Math.ceil(crowd / KEPT));
  const kept = Math.ceil(crowd / step);
  return Uint32Array.from({ length: kept + count - crowd }, (_, i) => (i < kept ? i * step : crowd + i - kept));
}

/** Null where the browser has no WebGL2. */
export function glPainter(canvas: HTMLCanvasElement, paper: [number, number, number]): Painter | null {
  const gl = canvas.getContext("webgl2", {
    antialias: false,
    depth: false,
    stencil: false,
    premultipliedAlpha: true,
    alpha: true,
  });
  if (!gl) return null;
  const program = linked(gl);
  if (!program) return null;
  const place = (name: string) => gl.getUniformLocation(program, name);
  const uniforms = {
    scale: place("scale"),
    shift: place("shift"),
    size: place("size"),
    grown: place("grown"),
    paper: place("paper"),
    line: place("line"),
  };
  const array = gl.createVertexArray();
  const buffers = [gl.createBuffer(), gl.createBuffer(), gl.createBuffer(), gl.createBuffer()] as const;
  let count = 0;
  let thinnedCount = 0;

  const attribute = (
    name: string,
    buffer: WebGLBuffer | null,
    data: Float32Array | Uint8Array,
    parts: number,
    bytes: boolean,
  ) => {
    const index = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(index);
    gl.vertexAttribPointer(index, parts, bytes ? gl.UNSIGNED_BYTE : gl.FLOAT, bytes, 0, 0);
  };

  return {
    slow: inSoftware(gl),
    load(points) {
      const at = new Float32Array(2 * points.count);
      for (let i = 0; i < points.count; i++) {
        at[2 * i] = points.x[i]!;
        at[2 * i + 1] = points.y[i]!;
      }
      gl.bindVertexArray(array);
      attribute("at", buffers[0], at, 2, false);
      attribute("radius", buffers[1], points.radius, 1, false);
      attribute("colour", buffers[2], points.colour, 4, true);
      const few = thinnedOut(points);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers[3]);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, few, gl.STATIC_DRAW);
      thinnedCount = few.length;
      count = points.count;
    },
    draw(frame, view, pixelRatio, thinned) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      if (count === 0) return;
      gl.useProgram(program);
      gl.bindVertexArray(array);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
      gl.uniform2f(uniforms.scale, view.k * frame.sx * pixelRatio, view.k * frame.sy * pixelRatio);
      gl.uniform2f(
        uniforms.shift,
        (view.k * frame.tx + view.x) * pixelRatio,
        (view.k * frame.ty + view.y) * pixelRatio,
      );
      gl.uniform2f(uniforms.size, canvas.width, canvas.height);
      gl.uniform1f(uniforms.grown, growth(view.k) * pixelRatio);
      gl.uniform3f(uniforms.paper, paper[0] / 255, paper[1] / 255, paper[2] / 255);
      gl.uniform1f(uniforms.line, pixelRatio);
      if (thinned) gl.drawElements(gl.POINTS, thinnedCount, gl.UNSIGNED_INT, 0);
      else gl.drawArrays(gl.POINTS, 0, count);
    },
    dispose() {
      for (const buffer of buffers) gl.deleteBuffer(buffer);
      gl.deleteVertexArray(array);
      gl.deleteProgram(program);
    },
  };
}

function inSoftware(gl: WebGL2RenderingContext): boolean {
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  return (
    info !== null &&
    /swiftshader|llvmpipe|software|basic render/i.test(String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)))
  );
}

function linked(gl: WebGL2RenderingContext): WebGLProgram | null {
  const program = gl.createProgram();
  for (const [kind, text] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(kind);
    if (!shader) return null;
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    gl.deleteShader(shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

/** The same without WebGL: slower, by the browser's own drawing. */
export function plainPainter(canvas: HTMLCanvasElement, paper: [number, number, number]): Painter | null {
  const context = canvas.getContext("2d");
  if (!context) return null;
  let loaded: Points | null = null;
  let all: Uint32Array = new Uint32Array();
  let few: Uint32Array = all;
  return {
    slow: true,
    load(points) {
      loaded = points;
      all = Uint32Array.from({ length: points.count }, (_, i) => i);
      few = thinnedOut(points);
    },
    draw(frame, view, pixelRatio, thinned) {
      context.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
      context.clearRect(0, 0, frame.width, frame.height);
      if (loaded) paintDiscs(context, loaded, thinned ? few : all, frame, view, `rgb(${paper.join(",")})`);
    },
    dispose() {
      loaded = null;
    },
  };
}

function paintDiscs(
  context: CanvasRenderingContext2D,
  points: Points,
  indices: Uint32Array,
  frame: Frame,
  view: View,
  paper: string,
): void {
  const grown = growth(view.k);
  let last = "";
  for (const i of indices) {
    const px = view.k * (frame.sx * points.x[i]! + frame.tx) + view.x;
    const py = view.k * (frame.sy * points.y[i]! + frame.ty) + view.y;
    const reach = points.radius[i]! * grown;
    if (px < -reach || py < -reach || px > frame.width + reach || py > frame.height + reach) continue;
    const colour = points.colour.subarray(4 * i, 4 * i + 4);
    const style = `rgb(${colour[0]} ${colour[1]} ${colour[2]} / ${(colour[3]! / 255).toFixed(2)})`;
    if (style !== last) context.fillStyle = last = style;
    if (reach < 1.6) {
      context.fillRect(px - reach, py - reach, 2 * reach, 2 * reach);
      continue;
    }
    context.beginPath();
    context.arc(px, py, reach, 0, 2 * Math.PI);
    context.fill();
    if (reach > 2.6) {
      context.strokeStyle = paper;
      context.lineWidth = 0.8;
      context.stroke();
    }
  }
}
