import "./font.css";
import "@mantine/core/styles/default-css-variables.css";
import "@mantine/core/styles.css";
import "ag-grid-community/styles/ag-grid.css";
import "ag-grid-community/styles/ag-theme-quartz-no-font.css";
import "ag-grid-community/styles/agGridQuartzFont.css";
import "./theme.css";
import { createRoot } from "react-dom/client";
import { App } from "./app/App";

const element = document.getElementById("app");
if (element) createRoot(element).render(<App />);
