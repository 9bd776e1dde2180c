// The page's beginning: what was chosen earlier (theme, language), then the application.
import { mount } from "svelte"
import "./app.css"
import App from "./App.svelte"
import { settings } from "./api/settings.svelte.ts"

settings.apply()
mount(App, { target: document.getElementById("app")! })
