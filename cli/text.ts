/** Foreign text, made harmless for a terminal: control and direction characters are shown, line ends stay. */
export function plain(text: string): string {
  return text.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped)
}

/** As `plain`, for one cell or line: line ends are shown too. */
export function oneLine(text: string): string {
  return plain(text).replaceAll('\n', '\\n')
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}]/u

/** Columns of a terminal that the text takes. */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += /\p{Mark}/u.test(character) ? 0 : wide.test(character) ? 2 : 1
  return width
}

/** The beginning of the text that fits, with an ellipsis where something was left off. */
export function fit(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  let kept = ''
  for (const character of text) {
    if (widthOf(kept + character) > width - 1) break
    kept += character
  }
  return `${kept}…`
}

export function plural(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`
}

/** How long ago something was, in the largest unit that makes at least one: `3 hours ago`. */
export function ago(date: Date, now = Date.now()): string {
  const seconds = Math.max(0, Math.floor((now - date.getTime()) / 1000))
  const [size, unit] = AGES.find(([size]) => seconds >= size) ?? [1, 'second']
  return `${plural(Math.floor(seconds / size), unit)} ago`
}

const AGES: ReadonlyArray<readonly [number, string]> = [
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute']
]

/** `12 MB`: decimal units, three digits at most. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes
  let unit = 0
  for (; value >= 999.5 && unit < units.length - 1; unit += 1) value /= 1000
  return `${value < 9.95 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}
