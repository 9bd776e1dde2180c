// What a user has chosen, kept in this browser: language, theme, rows per page.
export type Language = "en" | "zh"
export type Theme = "auto" | "light" | "dark"

const KEY = "pilvi-settings"

function stored(): Partial<{ language: Language; theme: Theme; rows: number }> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}")
  } catch {
    return {}
  }
}

class Settings {
  language = $state<Language>(stored().language ?? (navigator.language.startsWith("zh") ? "zh" : "en"))
  theme = $state<Theme>(stored().theme ?? "auto")
  rows = $state<number>(stored().rows ?? 25)

  change(wish: Partial<{ language: Language; theme: Theme; rows: number }>): void {
    Object.assign(this, wish)
    localStorage.setItem(KEY, JSON.stringify({ language: this.language, theme: this.theme, rows: this.rows }))
    this.apply()
  }

  get dark(): boolean {
    return this.theme === "dark" || (this.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches)
  }

  apply(): void {
    document.documentElement.dataset.theme = this.dark ? "dark" : "light"
    document.documentElement.lang = this.language === "zh" ? "zh-CN" : "en"
  }
}

export const settings = new Settings()
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => settings.apply())
