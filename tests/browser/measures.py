"""JavaScript that finds elements of a page which a reader cannot see or read."""

SIDEWAYS = """[...document.querySelectorAll("#main *")].filter(it => it.scrollWidth > it.clientWidth + 1
    && ["auto", "scroll"].includes(getComputedStyle(it).overflowX)).map(it => it.id || it.className)"""
"""Elements that scroll sideways."""
PALE = """() => {
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const ground = it => { for (; it; it = it.parentElement) {
        const [r, g, b, a = 1] = parts(getComputedStyle(it).backgroundColor); if (a > 0.9) return [r, g, b]; }
        return [255, 255, 255]; };
    const light = rgb => rgb.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0.05);
    const contrast = it => { const under = ground(it), ink = parts(getComputedStyle(it).color);
        let seen = ink[3] ?? 1; for (let up = it; up; up = up.parentElement) seen *= getComputedStyle(up).opacity;
        const [a, b] = [light(under), light(under.map((v, i) => ink[i] * seen + v * (1 - seen)))];
        return Math.max(a, b) / Math.min(a, b); };
    return [...document.querySelectorAll("#content *")].filter(it => it.offsetParent && contrast(it) < 4.5
        && [...it.childNodes].some(node => node.nodeType == 3 && node.textContent.trim())).map(it => it.textContent);
}"""
"""Texts with less contrast than WCAG AA requires."""
CLIPPED = """[...document.querySelectorAll("#result_list :is(td, th)")].filter(it => it.scrollWidth > it.clientWidth + 1
    || it.getBoundingClientRect().right > document.querySelector("#changelist-form").getBoundingClientRect().right + 1)
    .map(it => it.className)"""
"""Cells of a list that are too narrow for their text, or too wide for the list."""
TWICE = """[...document.querySelectorAll("main [id]")].map(it => it.id).filter((id, at, all) => all.indexOf(id) < at)"""
"""Ids of two elements: a label would lead to the wrong field."""
LABEL = """it => !["none", "normal"].includes(getComputedStyle(it, "::before").content)"""
NAMELESS = f"""[...document.querySelectorAll("#result_list tbody :is(td, th)")]
    .filter(it => !({LABEL})(it)).map(it => it.className)"""
"""Values without a label, in a list without heads of columns."""
CUT = """[...document.querySelectorAll("#content select")].filter(it => { const look = getComputedStyle(it);
    const [size, above, below] = [look.fontSize, look.paddingTop, look.paddingBottom].map(parseFloat);
    return it.clientHeight - above - below < 1.15 * size; }).map(it => it.id)"""
"""Choices that are too low for their text."""
